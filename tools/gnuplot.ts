/**
 * Drawing by gnuplot.
 *
 * @see docs/decisions/0015-plots-by-gnuplot.md
 * @module
 */

/** Have gnuplot carry out a script that draws to its standard output, into a file. */
export async function drawWithGnuplot(
  script: string,
  output: string,
): Promise<void> {
  const gnuplot = new Deno.Command("gnuplot", {
    stdin: "piped",
    stdout: "piped",
    stderr: "inherit",
  }).spawn();
  const writer = gnuplot.stdin.getWriter();
  await writer.write(new TextEncoder().encode(script));
  await writer.close();
  const { success, stdout } = await gnuplot.output();
  if (!success) Deno.exit(1);
  await Deno.writeFile(output, stdout);
}
