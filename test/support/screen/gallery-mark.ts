/** The line on which a guest says which screen it shows now begins with this. */
export const GALLERY_MARK = 'zos-screen ';

/** So long each is shown: the picture is taken as soon as it is said. */
export const PICTURE_MS = 2000;
