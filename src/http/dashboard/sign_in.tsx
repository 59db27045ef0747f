import { Notice } from "./parts.tsx";
import { renderPage } from "./frame.tsx";
import { SIGN_IN } from "./paths.ts";

/** The page that asks for an operator's token. */
export function signInPage({ to, csrf, problem }: {
  /** Where to go then. */
  to: string | undefined;
  csrf: string;
  problem?: string;
}) {
  return renderPage({
    title: "Sign in",
    children: (
      <form class="card sign-in" method="post" action={SIGN_IN}>
        <h1>Sign in</h1>
        <Notice text={problem} isBad />
        <p>
          With the token of one of the config's{" "}
          <code>auth.operators</code>. It is exchanged for a session, and kept nowhere.
        </p>
        <input type="hidden" name="csrf" value={csrf} />
        {to !== undefined && <input type="hidden" name="to" value={to} />}
        <label>
          Token
          <input name="token" type="password" autocomplete="current-password" required autofocus />
        </label>
        <button type="submit">Sign in</button>
      </form>
    ),
  });
}
