/** The line on which a guest's script says what it found begins with this. */
export const RESULT_MARK = 'zos-guest-result ';
