"""The entry point: `wmh-node`, and `python -m dicom_node.cli` for subprocesses of this installation."""

import gc


def run() -> None:
    """Run the command that was asked for."""
    # Before the imports, and until the command's modules are loaded (`main`): what is imported stays, and looking for
    # garbage in it takes a tenth of the start.
    gc.disable()
    from dicom_node.cli.main import main

    main()


if __name__ == "__main__":
    run()
