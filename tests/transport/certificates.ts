/** Certificates for tests, made afresh with openssl in a directory that goes when disposed of. */
export interface Certificates {
  /** The authority that has signed them all, in PEM. */
  readonly ca: string;
  /** For `api.example` and 127.0.0.1. */
  readonly valid: KeyPair;
  /** For `api.example`, over since 2024-01-01. */
  readonly expired: KeyPair;
}

export interface KeyPair {
  readonly cert: string;
  readonly key: string;
}

export async function makeCertificates(): Promise<Certificates> {
  const dir = await Deno.makeTempDir();
  try {
    await Deno.writeTextFile(`${dir}/ca.cnf`, AUTHORITY);
    await Deno.writeTextFile(`${dir}/index`, "");
    await Deno.writeTextFile(`${dir}/serial`, "1000");
    await openssl(dir, "req -x509 -nodes -keyout ca.key -out ca.pem -days 2 -subj /CN=Test-CA");
    return {
      ca: await Deno.readTextFile(`${dir}/ca.pem`),
      valid: await issue(dir, "valid", "-days 2"),
      expired: await issue(dir, "expired", "-startdate 20230101000000Z -enddate 20240101000000Z"),
    };
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
}

const AUTHORITY = `[ca]
default_ca = test
[test]
database = index
serial = serial
new_certs_dir = .
default_md = sha256
policy = any
[any]
commonName = supplied
[host]
subjectAltName = DNS:api.example,IP:127.0.0.1
basicConstraints = CA:FALSE
`;

async function issue(dir: string, name: string, validity: string): Promise<KeyPair> {
  await openssl(dir, `req -nodes -keyout ${name}.key -out ${name}.csr -subj /CN=${name}`);
  await openssl(
    dir,
    `ca -batch -notext -config ca.cnf -extensions host -cert ca.pem -keyfile ca.key ` +
      `-in ${name}.csr -out ${name}.pem ${validity}`,
  );
  const read = (file: string) => Deno.readTextFile(`${dir}/${file}`);
  return { cert: await read(`${name}.pem`), key: await read(`${name}.key`) };
}

async function openssl(dir: string, command: string): Promise<void> {
  const [name, ...rest] = command.split(" ");
  const newKey = name === "req" ? ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"] : [];
  const args = [name!, ...newKey, ...rest];
  const { success, stderr } = await new Deno.Command("openssl", { args, cwd: dir }).output();
  if (!success) throw new Error(new TextDecoder().decode(stderr));
}
