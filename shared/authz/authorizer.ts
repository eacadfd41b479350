import { readFile } from 'node:fs/promises';
import { unwatchFile, watchFile } from 'node:fs';
import { newEnforcer, newModelFromString, StringAdapter, type Enforcer } from 'casbin';
import { messageOf } from '../errors';
import type { Logger } from '../logging/logger';

/** Decides by Casbin. `object` is a path without its leading slash, `permission` such as `resource_pool:get`. */
export interface Authorizer {
  /** True when a rule allows it to the user itself or to one of the roles of its token. */
  allows(who: { sub: string; roles: readonly string[] }, object: string, permission: string): boolean;
  close(): void;
}

/** Decisions that are remembered; beyond it all are forgotten. */
const REMEMBERED = 10_000;
const NAME = '\\s*[\\w.:-]+\\s*';
// `*`, or a path whose segments are words, `{names}` or `*`: Casbin's keyMatch3 makes a regular expression of it, and
// never returns from a brace that is not closed
const OBJECT = '\\s*(\\*|[\\w-]+(/([\\w-]+|\\{\\w+\\}|\\*))*)\\s*';
const RULE = new RegExp(`^\\s*(p\\s*,${NAME},${OBJECT},(\\s*\\*\\s*|${NAME})|g\\s*,${NAME},${NAME})$`);
const UUID = /^[\da-f]{8}(-[\da-f]{4}){3}-[\da-f]{12}$/i;

/** Casbin ignores lines that it does not understand; a policy with such a line must not silently allow less or more. */
function checkRules(policy: string): void {
  const faulty = policy
    .split('\n')
    .map((line, index) => ({ line: line.replace(/\s*#.*$/, ''), number: index + 1 }))
    .filter(({ line }) => line.trim() !== '' && !RULE.test(line));
  if (faulty.length > 0) {
    throw new Error(
      `policy lines ${faulty.map(({ number }) => number).join(', ')} are neither "p, sub, obj, act" nor "g, sub, role"`,
    );
  }
}

async function loadEnforcer(modelFile: string, policyFile: string): Promise<Enforcer> {
  const [model, policy] = await Promise.all([readFile(modelFile, 'utf8'), readFile(policyFile, 'utf8')]);
  checkRules(policy);
  const rules = policy.replace(/\s*#.*$/gm, '');
  return newEnforcer(newModelFromString(model), new StringAdapter(rules));
}

/**
 * Reads model and policies, and takes over a changed policy file within two seconds.
 * @throws when a file is missing or faulty at start; later a faulty file is logged and the old rules stay in force.
 */
export async function createAuthorizer(files: { model: string; policy: string }, logger: Logger): Promise<Authorizer> {
  let enforcer = await loadEnforcer(files.model, files.policy);
  /** What the rules in force said: a decision of Casbin costs 30 µs. */
  const decisions = new Map<string, boolean>();
  const reload = (): void => {
    loadEnforcer(files.model, files.policy).then(
      (next) => {
        enforcer = next;
        decisions.clear();
        logger.info('policies reloaded', { activity: 'policy.reload', resource: files.policy, result: 'ok' });
      },
      (error: unknown) =>
        logger.error('the changed policy file is faulty; the old rules stay in force until it is mended', {
          activity: 'policy.reload',
          resource: files.policy,
          result: messageOf(error),
        }),
    );
  };
  // polling also sees the symlink swap by which Kubernetes replaces a mounted file
  watchFile(files.policy, { interval: 1_000, persistent: false }, reload);
  return {
    allows: (who, object, permission) => {
      const question = JSON.stringify([who.sub, who.roles, object, permission]);
      let allowed = decisions.get(question);
      if (allowed === undefined) {
        // a role that is spelt like an id must not open what was granted to that user
        const subjects = [who.sub, ...who.roles.filter((role) => !UUID.test(role))];
        allowed = subjects.some((subject) => enforcer.enforceSync(subject, object, permission));
        if (decisions.size >= REMEMBERED) decisions.clear();
        decisions.set(question, allowed);
      }
      return allowed;
    },
    close: () => unwatchFile(files.policy, reload),
  };
}
