import { InvalidArgumentError } from "commander";

/** A reader of an option's number, from `low` to `high`. */
export function numberFrom(low: number, high = Number.MAX_SAFE_INTEGER): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (text.trim() === "" || !(value >= low && value <= high))
      throw new InvalidArgumentError(
        high === Number.MAX_SAFE_INTEGER ? `a number from ${low}` : `a number from ${low} to ${high}`,
      );
    return value;
  };
}

/** A reader of an option's whole number, from `low` to `high`. */
export function wholeFrom(low: number, high = 2_147_483_647): (text: string) => number {
  const read = numberFrom(low, high);
  return (text) => {
    const value = read(text);
    if (!Number.isInteger(value)) throw new InvalidArgumentError("a whole number");
    return value;
  };
}
