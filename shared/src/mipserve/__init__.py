"""The unified API: every task of MIPseg behind one port."""
