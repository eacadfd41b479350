/** The same object with some methods replaced. */
export function replacing<T extends object>(target: T, methods: Partial<T>): T {
  return new Proxy(target, {
    get: (_, name) => {
      const member: unknown = Reflect.get(Reflect.has(methods, name) ? methods : target, name);
      if (typeof member !== 'function') return member;
      return (...args: unknown[]): unknown => (member as (...args: unknown[]) => unknown).apply(target, args);
    },
  });
}
