#!/usr/bin/env node
/** Entry of the program: loads it through the code cache, and nothing else. */
import { openPacks } from './packs.ts';

const packs = openPacks(process.env);
packs.load('base');
void import('./start.ts').then(({ start }) => start(packs));
