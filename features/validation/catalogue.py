"""Every rule there is, in one tuple: what runs, and what the documentation lists."""

from features.validation.rule import Rule
from features.validation.rules.below_zero import BELOW_ZERO_RULES
from features.validation.rules.computed import COMPUTED_RULES
from features.validation.rules.currencies import CURRENCY_RULES
from features.validation.rules.dividends import DIVIDEND_RULES
from features.validation.rules.duplicates import DUPLICATE_RULES
from features.validation.rules.identity import IDENTITY_RULES
from features.validation.rules.jumps import JUMP_RULES
from features.validation.rules.lent_bars import LENT_RULES
from features.validation.rules.lone_rows import LONE_RULES
from features.validation.rules.ohlc import OHLC_RULES
from features.validation.rules.placeholders import PLACEHOLDER_RULES
from features.validation.rules.prints import PRINT_RULES
from features.validation.rules.quotes import QUOTE_RULES
from features.validation.rules.records import RECORD_RULES
from features.validation.rules.recurring_bars import RECURRING_RULES
from features.validation.rules.revisions import REVISION_RULES
from features.validation.rules.sessions import SESSION_RULES
from features.validation.rules.shifted_days import SHIFTED_RULES
from features.validation.rules.split_steps import SPLIT_RULES
from features.validation.rules.swapped_columns import SWAPPED_RULES
from features.validation.rules.times import TIME_RULES
from features.validation.rules.values import VALUE_RULES
from features.validation.rules.volumes import VOLUME_RULES
from features.validation.rules.zones import ZONE_RULES

RULES: tuple[Rule, ...] = (
    *TIME_RULES,
    *VALUE_RULES,
    *QUOTE_RULES,
    *RECORD_RULES,
    *OHLC_RULES,
    *SWAPPED_RULES,
    *DUPLICATE_RULES,
    *DIVIDEND_RULES,
    *SPLIT_RULES,
    *JUMP_RULES,
    *PRINT_RULES,
    *VOLUME_RULES,
    *BELOW_ZERO_RULES,
    *PLACEHOLDER_RULES,
    *CURRENCY_RULES,
    *LENT_RULES,
    *RECURRING_RULES,
    *LONE_RULES,
    *SESSION_RULES,
    *SHIFTED_RULES,
    *ZONE_RULES,
    *REVISION_RULES,
    *IDENTITY_RULES,
    *COMPUTED_RULES,
)
