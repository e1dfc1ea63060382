/** Starts every value of ours, and names the layout: see LAYOUT.md. */
export const mark = "dlock2.";
