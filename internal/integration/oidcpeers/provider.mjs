// An OpenID provider for the tests beside this file: oidc-provider, as strict as it can be. Its only argument describes
// it; it serves on the listening socket that it inherits as descriptor 3, and ends with its standard input.
import { generateKeyPairSync, randomUUID } from 'node:crypto';
import { createServer } from 'node:http';
import { text } from 'node:stream/consumers';
import Provider from 'oidc-provider';

const { issuer, clients, accounts, scopes } = JSON.parse(process.argv[2]);
const signingKey = generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey;
const hour = 60 * 60, day = 24 * hour;

const provider = new Provider(issuer, {
  clients,
  scopes: ['openid', 'offline_access', ...scopes],
  claims: { openid: ['sub'], email: ['email', 'email_verified'], profile: ['name'] },
  jwks: { keys: [{ ...signingKey.export({ format: 'jwk' }), alg: 'RS256', use: 'sig' }] },
  cookies: { keys: [randomUUID()] },
  features: { devInteractions: { enabled: false }, revocation: { enabled: true } },
  pkce: { required: () => true },
  rotateRefreshToken: true,
  ttl: { AccessToken: hour, IdToken: hour, Interaction: hour, Session: hour, Grant: day, RefreshToken: day },
  findAccount(ctx, sub) {
    const account = accounts[sub];
    return account && { accountId: sub, claims: () => ({ sub, email_verified: true, ...account }) };
  },
});

// What was asked of the token and revocation endpoints, and how it was answered.
const calls = {};
provider.use(async (ctx, next) => {
  await next();
  if (ctx.oidc?.route === 'token' || ctx.oidc?.route === 'revocation') {
    const what = [ctx.oidc.params?.grant_type ?? ctx.oidc.route, ctx.body?.error].filter(Boolean).join(' ');
    calls[what] = (calls[what] ?? 0) + 1;
  }
});

const untickable = (params) => params.scope.split(' ').filter((s) => s !== 'openid' && s !== 'offline_access');
const escape = (s) => s.replace(/[&<>"']/g, (c) => `&#${c.charCodeAt(0)};`);
const box = (s) => `<label><input type="checkbox" name="scope" value="${escape(s)}" checked> ${escape(s)}</label>`;
const pages = {
  login: ({ params }) => `<input type="email" name="email" value="${escape(params.login_hint ?? '')}">`,
  consent: ({ params }) => untickable(params).map(box).join('\n'),
};

// What a person's answer on a page comes to.
const results = {
  login(form) {
    const [accountId] = Object.entries(accounts).find(([, account]) => account.email === form.get('email')) ?? [];
    return accountId && { login: { accountId } };
  },
  async consent(form, { params, session }) {
    // Every consent is a grant of its own, which a token of another one does not end.
    const grant = new provider.Grant({ accountId: session.accountId, clientId: params.client_id });
    const unticked = untickable(params).filter((s) => !form.getAll('scope').includes(s));
    grant.addOIDCScope(params.scope);
    if (unticked.length > 0) grant.rejectOIDCScope(unticked.join(' '));
    return { consent: { grantId: await grant.save() } };
  },
};

async function interact(req, res) {
  const details = await provider.interactionDetails(req, res);
  const { name } = details.prompt;
  if (req.method === 'POST') {
    const form = new URLSearchParams(await text(req));
    const result = form.get('answer') === 'deny'
      ? { error: 'access_denied', error_description: 'the person said no' }
      : await results[name](form, details);
    const mergeWithLastSubmission = name === 'consent';
    if (result) return provider.interactionFinished(req, res, result, { mergeWithLastSubmission });
  }
  res.setHeader('Content-Type', 'text/html; charset=utf-8');
  return res.end(`<!doctype html><html lang="en"><title>${name}</title>
    <form method="post">${pages[name](details)}
    <button name="answer" value="allow">Continue</button> <button name="answer" value="deny">Cancel</button></form>`);
}

const oauth = provider.callback();
const server = createServer((req, res) => {
  if (req.url === '/calls') {
    res.setHeader('Content-Type', 'application/json').end(JSON.stringify(calls));
  } else if (req.url.startsWith('/interaction/')) {
    interact(req, res).catch((err) => {
      console.error(err);
      res.writeHead(400).end(`${err}`);
    });
  } else {
    oauth(req, res);
  }
});
provider.on('server_error', (ctx, err) => {
  console.error(err);
  process.exitCode = 1; // the test fails, whatever its client makes of the answer
});
process.stdin.resume().on('end', () => process.exit());
server.listen({ fd: 3 });
