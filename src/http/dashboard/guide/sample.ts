import { csharpSample } from "./csharp.ts";
import { goSample } from "./go.ts";
import { javaSample } from "./java.ts";
import { nodeSample } from "./node.ts";
import { phpSample } from "./php.ts";
import { pythonSample } from "./python.ts";
import { rubySample } from "./ruby.ts";
import type { Scheme } from "./scheme.ts";

/** Code that tells whether a request is genuine, in one language. */
export interface Sample {
  readonly language: string;
  /** As the fence of a Markdown code block names it. */
  readonly fence: string;
  readonly code: string;
}

/** The same check in every language that receivers are commonly written in. */
export function samplesFor(own: Scheme): Sample[] {
  const node = { language: "Node", fence: "js", code: nodeSample(own) };
  const scheme = own.kind === "own" && "elsewhere" in own ? own.elsewhere : own;
  if (scheme === undefined) return [node];
  return [
    node,
    { language: "Python", fence: "python", code: pythonSample(scheme) },
    { language: "PHP", fence: "php", code: phpSample(scheme) },
    { language: "Ruby", fence: "ruby", code: rubySample(scheme) },
    { language: "Go", fence: "go", code: goSample(scheme) },
    { language: "Java", fence: "java", code: javaSample(scheme) },
    { language: "C#", fence: "csharp", code: csharpSample(scheme) },
  ];
}
