// @ts-check
import { WHOLE } from "./window.js";
/**
 * What travels between the modules of the viewer, named once.
 *
 * Every image array is row by row from the upper left pixel; pixel (x, y) is at y * width + x.
 *
 * @typedef {object} Point a place in the image, in pixels; the upper left pixel reaches from (0, 0) to (1, 1)
 * @property {number} x
 * @property {number} y
 *
 * @typedef {object} Lesion one component (8-connected) of the mask
 * @property {number} id 1 is the largest; also its label in `labels`
 * @property {[number, number, number, number]} bbox first row, first column, and the row and column behind the last
 * @property {[number, number]} centroid row and column
 * @property {number} area pixels
 * @property {number | null} areaMm2 square millimetres of the projection; null where the spacing is not known
 * @property {number} intensity mean of its pixels, 0 (air) to 1 (top of the SUV window)
 * @property {number} probability mean of its pixels, 0 to 1
 *
 * @typedef {object} Problem why there is no picture
 * @property {string} title in a few words
 * @property {string} detail what is wrong and what would work
 *
 * @typedef {object} Answer what the service says about an image, beside its pixels
 * @property {{label: string, probability: number, threshold: number | null}} classification
 * @property {string[]} warnings codes of repairs and doubts
 * @property {{name: string, sha256: string}} model
 *
 * @typedef {object} VolumeLesion a lesion in 3-D, as measurements.json has it; null where something can't be known
 * @property {number} id
 * @property {number} mtv_ml
 * @property {number | null} suv_max
 * @property {number | null} suv_mean
 * @property {number | null} suv_peak
 * @property {number | null} tlg_g
 * @property {[number, number]} mip_px row and column of its centre in the projection
 * @property {[number, number, number]} centroid_mm to the patient's left, to the back, to the head
 * @property {Record<string, string>} reasons why something can't be known, by its name
 *
 * @typedef {object} Window of grey, in shares of the scale of the image: 0 is air, 1 is its top (of volumes SUV 6)
 * @property {number} low what is shown as air
 * @property {number} high what is shown as the hottest
 *
 * @typedef {object} Volume what the model found in a volume; the image shows its projection
 * @property {string} id of its job
 * @property {{name: string, size: number}[]} files of the job, sizes in bytes
 * @property {VolumeLesion[]} lesions
 * @property {{total_mtv_ml: number, total_tlg_g: number | null, suv_max: number | null}} patient
 * @property {Film} film
 * @property {Uint8Array} mask of the projection, that lesions and files are made of; 0 or 1
 *
 * @typedef {object} Film the projections of a volume from all around; the second half of the angles are the frames mirrored
 * @property {Uint8Array} intensity of the sheet of all frames, row by row; 0 (air) to 255 (hot)
 * @property {Uint8Array} numbers of the lesions that show there, 0: none; 255 stands for all from the 255th on
 * @property {number} angles of a whole turn
 * @property {number} frames half of them
 * @property {number} columns frames in a row
 * @property {[number, number]} framePx height and width of a frame
 * @property {[number, number]} pixelMm height and width of a pixel
 * @property {number[][]} palette red, green and blue of lesion 1, 2, …, and from the first again
 *
 * @typedef {object} State everything that is shown
 * @property {"start" | "working" | "shown" | "failed"} phase
 * @property {string} name of the file
 * @property {string} sample name of the sample that is shown, else empty
 * @property {string} leftOut which files of a folder were not sent, in words; empty: all were
 * @property {{text: string, share: number | null}} step what is being done while working; share from 0 to 1 if known
 * @property {Problem | null} problem while failed
 * @property {Answer | null} answer
 * @property {Volume | null} volume null for an image
 * @property {number} width pixels
 * @property {number} height pixels
 * @property {[number, number] | null} spacing millimetres between rows and between columns
 * @property {Uint8Array} intensity 0 (air) to 255 (hot)
 * @property {Uint8Array} probability of a tumour at each pixel, 255 p
 * @property {Uint8Array} mask 0 or 1: what is shown, counted and downloaded
 * @property {Uint8Array} ownMask 0 or 1: what the model said
 * @property {number} threshold a pixel is tumour from this 255 p on; 256: none is
 * @property {number} temperature that softens the probabilities, see `expectedDice`
 * @property {number} ownThreshold the position at which the mask is the model's own
 * @property {import("./correct/grow.js").Click[]} clicks that led to the mask
 * @property {boolean} edited whether the mask comes from elsewhere: corrected by hand, or of `/tumor/predict`
 * @property {Uint16Array | Uint32Array} labels of the lesions, 0 outside
 * @property {Lesion[]} lesions largest first; follows the mask by itself
 * @property {number} selected id of a lesion, 0: none
 * @property {number} hovered id of a lesion, 0: none
 * @property {Uint8Array | null} reference 0 or 1
 * @property {string} referenceProblem why a reference was not taken
 * @property {"front" | "film" | "planes"} look at a volume: its projection, the film of its projections, or its slices
 * @property {number} lesion3d number of the volume's lesion that the slices show, 0: none
 * @property {State | null} baseline an earlier scan beside this one
 * @property {Window} window
 * @property {boolean} darkIsHot inverted grey, as nuclear medicine shows it
 * @property {boolean} outline
 * @property {number} fill opacity of the mask, 0 to 1
 * @property {boolean} heat whether the probabilities are shown
 * @property {boolean} compare whether mask and reference are shown by agreement
 */

/** @type {State} */
export const START = {
  phase: "start", name: "", sample: "", leftOut: "", step: { text: "", share: null }, problem: null, answer: null, volume: null,
  width: 0, height: 0, spacing: null,
  intensity: new Uint8Array(), probability: new Uint8Array(), mask: new Uint8Array(), ownMask: new Uint8Array(),
  threshold: 256, ownThreshold: 256, temperature: 1, clicks: [], edited: false,
  labels: new Uint32Array(), lesions: [], selected: 0, hovered: 0, reference: null, referenceProblem: "",
  look: "front", lesion3d: 0, baseline: null,
  window: WHOLE, darkIsHot: true, outline: true, fill: 0.25, heat: false, compare: false,
};
