// Redundancy
