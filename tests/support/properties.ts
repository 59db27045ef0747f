import fc from "fast-check";

/**
 * fast-check with one seed for every run, so that a suite that passed passes again; BELLHOOK_SEED
 * takes another one, and "random" a fresh one each time.
 */
const wanted = Deno.env.get("BELLHOOK_SEED");
if (wanted !== "random") fc.configureGlobal({ seed: Number(wanted ?? 20_240_315) });

export { fc };
