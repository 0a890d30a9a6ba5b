/** What is this machine: by the address of a socket, and by the name in a Host header. */

const address = /^(::ffff:)?127\.|^::1$/
const host = /^(localhost|127(\.\d{1,3}){3}|\[::1\])(:\d+)?$/

/** An address as a socket gives it. */
export const isLoopbackAddress = (text: string): boolean => address.test(text)
/** A Host header, with or without a port. */
export const isLoopbackHost = (text: string): boolean => host.test(text)
