/** The page. */
document.title = "cairn"
