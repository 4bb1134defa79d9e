"""All cases by the full name of what each builds."""

from peoples_models import codecs, speech
from peoples_models.case import CASES, Case
from peoples_models.encodec import encodec_decoder

__all__ = ["CASES", "Case", "codecs", "encodec_decoder", "speech"]
