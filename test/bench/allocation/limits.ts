/** What holds back what is missed. */
export const LIMITS = { hot: '', wide: '', late: '', list: '' };
