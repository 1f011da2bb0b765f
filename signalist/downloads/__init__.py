"""Files that are made in the background for one person, who alone may fetch them, for a while."""
