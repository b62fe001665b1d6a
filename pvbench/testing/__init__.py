"""Contract suites that a plug-in's author subclasses in tests of their own."""
