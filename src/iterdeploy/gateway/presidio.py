"""Takes personal data out of English texts with Presidio, for `deployment.redact`.

redact = "iterdeploy.gateway.presidio:without_personal_data"
"""

from functools import cache
from typing import Any

from iterdeploy.sections import ConfigError


@cache
def _engines() -> tuple[Any, Any]:
    """The analyser, which loads a model of spaCy's, and what writes the text anew."""
    try:
        from presidio_analyzer import AnalyzerEngine
        from presidio_anonymizer import AnonymizerEngine
    except ImportError:
        raise ConfigError("this redaction needs Presidio: pip install 'iterdeploy[presidio]'") from None
    return AnalyzerEngine(), AnonymizerEngine()


def without_personal_data(text: str) -> str:
    """The text with, for example, <PERSON> in place of a name."""
    analyzer, anonymizer = _engines()
    found = analyzer.analyze(text=text, language="en")
    return str(anonymizer.anonymize(text=text, analyzer_results=found).text)
