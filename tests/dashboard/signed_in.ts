import { type House, TOKEN } from "./a_house.ts";
import { Visitor } from "./visitor.ts";

/** Somebody without script who has signed in. */
export async function signedIn(house: House): Promise<Visitor> {
  const visitor = new Visitor(house.url);
  const page = await visitor.open("/");
  await visitor.submit(page, "/dashboard/sign-in", { token: TOKEN });
  return visitor;
}
