/* web.h - the HTML report around its data; made from web/ when the tool is built, the charts' library inside.
 */
#ifndef NEB_TOOL_WEB_H
#define NEB_TOOL_WEB_H

#include <stddef.h>

extern const unsigned char web_before[], web_after[];
extern const size_t web_before_bytes, web_after_bytes;

#endif
