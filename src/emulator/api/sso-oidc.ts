/** SSO OIDC, and the two pages of the portal that a person's browser opens during a login. */
import type { SsoClient, SsoGrant } from '../sso-directory.ts';
import { DEVICE_GRANT, isRefreshable } from '../sso-directory.ts';
import { Refusal } from './refusal.ts';
import { jsonContent, page, requiredText, texts } from './sso-wire.ts';
import type { SsoAnswer, SsoCall, SsoRoute } from './sso-wire.ts';

/** By method and path. */
export const SSO_OIDC_ROUTES: Readonly<Record<string, SsoRoute>> = {
  'POST /client/register': { action: 'sso-oidc:RegisterClient', perform: registerClient },
  'POST /device_authorization': { action: 'sso-oidc:StartDeviceAuthorization', perform: startDevice },
  'POST /token': { action: 'sso-oidc:CreateToken', perform: createToken },
  'GET /authorize': { action: undefined, perform: authorizePage },
  'GET /device': { action: undefined, perform: devicePage },
};

function registerClient({ directory, input, world }: SsoCall): SsoAnswer {
  requiredText(input, 'clientName');
  if (requiredText(input, 'clientType') !== 'public') {
    throw new Refusal('InvalidClientMetadataException', 'Only the client type public is supported.');
  }
  const client = directory.register({
    scopes: texts(input, 'scopes'),
    grantTypes: texts(input, 'grantTypes'),
    redirectUris: texts(input, 'redirectUris'),
  });
  return jsonContent({
    clientId: client.clientId,
    clientSecret: client.clientSecret,
    clientIdIssuedAt: Math.floor(world.clock.wallNow() / 1000),
    clientSecretExpiresAt: Math.floor(client.expiresAt / 1000),
  });
}

function startDevice({ directory, input, origin }: SsoCall): SsoAnswer {
  const client = clientOf({ directory, input });
  const device = directory.startDevice(client, requiredText(input, 'startUrl'));
  const { deviceMs, intervalSeconds } = directory.settings;
  return jsonContent({
    deviceCode: device.deviceCode,
    userCode: device.userCode,
    verificationUri: `${origin}/device`,
    verificationUriComplete: `${origin}/device?user_code=${device.userCode}`,
    expiresIn: Math.floor(deviceMs / 1000),
    interval: intervalSeconds,
  });
}

function createToken(call: SsoCall): SsoAnswer {
  const { directory, input } = call;
  const client = clientOf(call);
  const grantType = requiredText(input, 'grantType');
  switch (grantType) {
    case DEVICE_GRANT:
      return tokens(call, client, directory.grantForDevice(client, requiredText(input, 'deviceCode')));
    case 'authorization_code': {
      const [code, redirectUri, verifier] = ['code', 'redirectUri', 'codeVerifier'].map((name) =>
        requiredText(input, name),
      );
      return tokens(
        call,
        client,
        directory.grantForCode(client, code ?? '', redirectUri ?? '', verifier ?? ''),
      );
    }
    case 'refresh_token':
      return tokens(call, client, directory.refresh(client, requiredText(input, 'refreshToken')));
    default:
      throw new Refusal('UnsupportedGrantTypeException', `The grant type ${grantType} is not supported.`);
  }
}

function tokens({ world }: SsoCall, client: SsoClient, grant: SsoGrant): SsoAnswer {
  return jsonContent({
    accessToken: grant.accessToken,
    tokenType: 'Bearer',
    expiresIn: Math.floor((grant.expiresAt - world.clock.wallNow()) / 1000),
    ...(isRefreshable(client) && { refreshToken: grant.refreshToken }),
  });
}

/** The page where a person logs in and approves: here the settings say what the person does. */
function authorizePage({ directory, query }: SsoCall): SsoAnswer {
  const read = (name: string): string => query.get(name) ?? '';
  if (read('response_type') !== 'code' || read('code_challenge_method') !== 'S256') {
    return page(400, 'This is not an authorization request with PKCE.');
  }
  if (read('code_challenge') === '' || read('state') === '') return page(400, 'Challenge or state missing.');
  const redirectUri = read('redirect_uri');
  const answer = directory.authorize(read('client_id'), redirectUri, read('code_challenge'));
  if (answer === undefined) return page(200, 'Waiting for the person.');
  const location = new URL(redirectUri);
  location.searchParams.set('state', read('state'));
  if (answer === false) location.searchParams.set('error', 'access_denied');
  else location.searchParams.set('code', answer);
  return { ...page(302, 'Back to the program.'), location: location.href };
}

function devicePage({ directory, query }: SsoCall): SsoAnswer {
  const userCode = query.get('user_code');
  if (userCode === null) return page(200, 'Enter the code.');
  return directory.visitDevice(userCode) ? page(200, 'Request approved.') : page(404, 'Unknown code.');
}

function clientOf({ directory, input }: Pick<SsoCall, 'directory' | 'input'>): SsoClient {
  return directory.client(requiredText(input, 'clientId'), requiredText(input, 'clientSecret'));
}
