"""The whole way on one machine, with a stand-in PACS and a phantom."""
