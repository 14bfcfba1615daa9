// Shortest paths over a link-state graph.
