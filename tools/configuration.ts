// npm run configuration: writes docs/configuration.md.
import fs from 'node:fs';
import path from 'node:path';
import { configurationTable } from './configuration-table';
import { root } from './instance';

fs.writeFileSync(path.join(root, 'docs', 'configuration.md'), configurationTable());
