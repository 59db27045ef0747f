import { InvalidArgumentError } from "commander";

/** An id as it was typed; an empty one, as a variable that is not set leaves it, is none. */
export function givenId(text: string): string {
  if (text.trim() === "") throw new InvalidArgumentError("The id is empty.");
  return text;
}
