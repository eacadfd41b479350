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

interface Rules {
  enforcer: Enforcer;
  /** Ids that rules name; all others are alike to them. */
  named: ReadonlySet<string>;
}

async function loadRules(modelFile: string, policyFile: string): Promise<Rules> {
  const [model, policy] = await Promise.all([readFile(modelFile, 'utf8'), readFile(policyFile, 'utf8')]);
  checkRules(policy);
  const rules = policy.replace(/\s*#.*$/gm, '');
  return {
    enforcer: await newEnforcer(newModelFromString(model), new StringAdapter(rules)),
    named: new Set(rules.split(/[\s,/]+/).filter((word) => UUID.test(word))),
  };
}

/** The object with a placeholder for every id that no rule names: what is decided for one of them holds for all. */
function kindOf(object: string, named: ReadonlySet<string>): string {
  return object
    .split('/')
    .map((segment) => (UUID.test(segment) && !named.has(segment) ? '{id}' : segment))
    .join('/');
}

/**
 * Reads model and policies, and takes over a changed policy file within two seconds.
 * @param everyMs how often it looks at the file
 * @throws when a file is missing or faulty at start; later a faulty file is logged and the old rules stay in force.
 */
export async function createAuthorizer(
  files: { model: string; policy: string },
  logger: Logger,
  everyMs = 1_000,
): Promise<Authorizer> {
  let rules = await loadRules(files.model, files.policy);
  /** What the rules in force said, by kind of object: a decision of Casbin costs 30 µs. */
  const decisions = new Map<string, boolean>();
  const reload = (): void => {
    loadRules(files.model, files.policy).then(
      (next) => {
        rules = next;
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
  watchFile(files.policy, { interval: everyMs, persistent: false }, reload);
  return {
    allows: (who, object, permission) => {
      const question = JSON.stringify([who.sub, who.roles, kindOf(object, rules.named), permission]);
      let allowed = decisions.get(question);
      if (allowed === undefined) {
        // a role that is spelt like an id must not open what was granted to that user
        const subjects = [who.sub, ...who.roles.filter((role) => !UUID.test(role))];
        allowed = subjects.some((subject) => rules.enforcer.enforceSync(subject, object, permission));
        if (decisions.size >= REMEMBERED) decisions.clear();
        decisions.set(question, allowed);
      }
      return allowed;
    },
    close: () => unwatchFile(files.policy, reload),
  };
}
