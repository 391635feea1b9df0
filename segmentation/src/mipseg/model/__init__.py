"""Arrays in, arrays out: networks, and what comes before and after them."""
