"""Black boxes elsewhere: an HTTP endpoint or a command gets PNG files and answers with scores in JSON."""
