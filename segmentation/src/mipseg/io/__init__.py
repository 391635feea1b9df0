"""Files and bytes in and out."""
