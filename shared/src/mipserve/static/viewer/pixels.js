// @ts-check

export const PITCH_MM = 2; // between pixels of the projection of a volume; of images too, unless they say another

/**
 * Decode a PNG or JPEG to grey values.
 *
 * @param {Blob} file
 * @returns {Promise<{width: number, height: number, grey: Uint8Array}>} grey: the red channel, without colour management
 */
export async function decodeGrey(file) {
  const image = await createImageBitmap(file, { colorSpaceConversion: "none", premultiplyAlpha: "none" });
  const { width, height } = image;
  const pen = canvasOf(width, height).getContext("2d", { willReadFrequently: true });
  if (!pen) throw new Error("the browser gives no canvas");
  pen.drawImage(image, 0, 0);
  image.close();
  const { data } = pen.getImageData(0, 0, width, height);
  const grey = new Uint8Array(width * height);
  for (let pixel = 0; pixel < grey.length; pixel++) grey[pixel] = data[4 * pixel];
  return { width, height, grey };
}

/** @param {string} base64 of a PNG */
export function decodeBase64(base64) {
  const bytes = Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0));
  return decodeGrey(new Blob([bytes], { type: "image/png" }));
}

/**
 * @param {number} width
 * @param {number} height
 * @returns {HTMLCanvasElement} not on the page
 */
export function canvasOf(width, height) {
  return Object.assign(document.createElement("canvas"), { width, height });
}

/**
 * Make a picture of one colour per grey value.
 *
 * @param {Uint8Array} values
 * @param {number} width
 * @param {Uint32Array} colours 256 of them, as `colour` makes them
 * @returns {HTMLCanvasElement} as large as the image
 */
export function paint(values, width, colours) {
  const height = values.length / width, canvas = canvasOf(width, height);
  const picture = new ImageData(width, height), pixels = new Uint32Array(picture.data.buffer);
  for (let pixel = 0; pixel < values.length; pixel++) pixels[pixel] = colours[values[pixel]];
  canvas.getContext("2d")?.putImageData(picture, 0, 0);
  return canvas;
}

/**
 * @param {number} red 0 to 255
 * @param {number} green
 * @param {number} blue
 * @param {number} [alpha]
 * @returns {number} as it lies in the memory of an ImageData
 */
export function colour(red, green, blue, alpha = 255) {
  return new Uint32Array(new Uint8Array([red, green, blue, Math.round(alpha)]).buffer)[0];
}
