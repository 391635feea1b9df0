"""Pages and PDFs of results, all from one set of templates: for a case, for many, and for an evaluation."""

PAGE, PDF = "report.html", "report.pdf"  # in the folder of each case; the first one also beside those folders
