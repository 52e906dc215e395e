"""Which series are complete, decided by evidence; complete ones become jobs or rejections."""
