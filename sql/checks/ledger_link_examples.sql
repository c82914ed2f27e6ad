-- (fault, id) of the first rows of `ledger_link` that lack something.
select fault, sample_id
from (
    select 'nowhere' as fault, sample_id from ledger_link where nowhere
    union all select 'unscored', sample_id from ledger_link where unscored
    union all select 'unblocked', sample_id from ledger_link where unblocked
)
qualify row_number() over (partition by fault order by sample_id) <= 10
order by 1, 2;
