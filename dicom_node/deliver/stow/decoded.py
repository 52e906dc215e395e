"""Whether a web server can decode an image that it has stored: its first frame, uncompressed, as a viewer asks for it
(WADO-RS, PS3.18 10.4.1.1.6, 8.7.3.3.2).
"""

from __future__ import annotations

from typing import Final

import httpx2

from dicom_node.deliver.stow.web_call import WebCall
from dicom_node.deliver.verify.sent_object import SentObject

_HEADERS: Final = {"Accept": 'multipart/related; type="application/octet-stream"'}
# Login, load, an object that is not indexed yet, or a server without WADO-RS: true of the object in any form.
_SAYS_NOTHING: Final = frozenset({401, 403, 404, 405, 408, 410, 429, 501, 502, 503, 504})


def is_decoded(client: httpx2.Client, call: WebCall, stored: SentObject) -> bool | None:
    """Whether the server gives the pixels; None where its answer says nothing about that."""
    series = f"{call.destination.url}/studies/{stored.study_instance_uid}/series/{stored.series_instance_uid}"
    try:
        answer = client.get(f"{series}/instances/{stored.sop_instance_uid}/frames/1", headers=_HEADERS)
    except httpx2.HTTPError:
        return None
    if answer.is_redirect or answer.status_code in _SAYS_NOTHING:
        return None
    return answer.is_success
