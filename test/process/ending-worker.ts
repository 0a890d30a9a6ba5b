/** A thread that ends as it is told, for worker.test.ts. */
onmessage = ({ data }: MessageEvent<string>) => {
  if (data === "exit") process.exit(3)
  if (data === "throw") throw new Error("planted")
  postMessage(data)
}
