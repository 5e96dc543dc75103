/** Options of `login` and `logout`. */
import type { OptionSpec } from './spec.ts';
import { LOGIN } from './spec.ts';

export const LOGIN_OPTIONS = [
  {
    name: 'profile',
    value: 'NAME',
    env: 'SSM_PROXY_PROFILE',
    defaultText: 'as the AWS CLI finds it',
    help: 'the login that this profile takes its credentials from; with --configure, the profile to make',
    commands: LOGIN,
  },
  {
    name: 'sso-session',
    value: 'NAME',
    help: 'the login of this [sso-session] of ~/.aws/config, in place of a profile',
    commands: LOGIN,
  },
  {
    name: 'no-browser',
    value: undefined,
    env: 'SSM_PROXY_NO_BROWSER',
    help: 'open no browser: show a page and a code for one on any machine',
    commands: ['login'],
  },
  {
    name: 'configure',
    value: undefined,
    help: 'set SSO up: ask for what is needed, log in, choose account and role, write ~/.aws/config',
    commands: ['login'],
  },
  {
    name: 'all',
    value: undefined,
    help: 'every login of this machine',
    commands: ['logout'],
  },
] as const satisfies readonly OptionSpec[];
