"""The weekly loop: import, learn, recommend, wait for approval, publish, read back."""
