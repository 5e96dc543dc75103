#!/usr/bin/env node
/** Entry of the drop-in for session-manager-plugin: as main.ts is of the program. */
import { openPacks } from './packs.ts';

const packs = openPacks(process.env);
packs.load('base');
void import('./start.ts').then(({ startPlugin }) => startPlugin(packs));
