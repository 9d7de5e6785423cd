// Lists of hosts that tools may reach: how they are written, and whether an address is on one.

const HOST = /^(\*\.)?(\[[0-9a-f:.]+\]|[^\s:/?#@[\]*,]+)(?::(\d{1,5}))?$/i;

/**
 * One host in its normal form: `api.bank.example`, `*.bank.example` (not `bank.example` itself), `10.0.0.7:8443`.
 * Without a port every port is meant. Throws a `TypeError` that quotes what is none.
 */
export function toHost(text: string): string {
  const [, wildcard = '', name = '', port] = HOST.exec(text.trim()) ?? [];
  const host = name && toHostname(name);
  if (!host || Number(port ?? 1) > 65_535 || Number(port ?? 1) < 1) {
    throw new TypeError(
      `"${text}" is no host: write api.example.com, *.example.com or api.example.com:8443`,
    );
  }
  return `${wildcard}${host}${port === undefined ? '' : `:${Number(port)}`}`;
}

/** Whether one of the hosts, as `toHost` gives them, is the URL's. */
export function isHostListed(hosts: readonly string[], url: URL): boolean {
  const name = withoutDot(url.hostname);
  const port = url.port || (url.protocol === 'https:' ? '443' : '80');
  return hosts.some((host) => {
    const [, wildcard, listed = '', listedPort] = HOST.exec(host) ?? [];
    if (listedPort !== undefined && listedPort !== port) return false;
    return wildcard ? name.endsWith(`.${listed}`) : name === listed;
  });
}

/** As URLs have it: lower case, letters of all scripts as punycode, numbers as dotted quads. */
function toHostname(name: string): string | undefined {
  try {
    return withoutDot(new URL(`http://${name}/`).hostname);
  } catch {
    return undefined;
  }
}

/** The root's dot changes nothing. */
function withoutDot(name: string): string {
  return name.replace(/\.$/, '');
}
