"""Pages and PDFs of results, all from one set of templates: for a case, for many, and for an evaluation."""
