-- The selection versions that hold row $sample_id; of one scope where $scope is not NULL.
select
    s.selection_version, s.scope_kind, s.scope, s.budget, m.position, s.is_head, s.trial, s.created_at
from store.selection_member m
join main.selections s on s.selection_version = m.selection_version
where m.sample_id = $sample_id and ($scope is null or s.scope = $scope)
order by s.scope_kind, s.scope, s.budget, s.created_at desc, s.selection_version;
