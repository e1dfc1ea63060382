/** A shell script that does the setup of a program when that is due, and becomes `$SERVER` with the arguments of the script. */
export const startScript = (setup: string): string =>
  `set -e\nif [ ! -e .furnished ]; then\n${setup}\ntouch .furnished\nfi\nexec "$SERVER" "$@"`;
