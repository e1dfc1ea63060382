/** Why the sale could not go on: something to tell a person in one line. */
export class SaleError extends Error {}
