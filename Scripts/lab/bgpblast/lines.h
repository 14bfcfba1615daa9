/* The line protocol (main.c): a command on standard input, one line of JSON on standard output. */
#pragma once

/* Standard input is readable: carries out the commands that are whole. */
void read_lines(void);
