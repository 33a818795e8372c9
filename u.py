tick("import"); tmp=Path(tempfile.mkdtemp(prefix="study-"))
