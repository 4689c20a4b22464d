def model(dbt, session):
    dbt.config(materialized="table", schema="studies")
    from estimators import design

    return design(
        "null_outcome",
        dbt.config.meta_get("study"),
        units=dbt.ref("null_outcome_units"),
        session=session,
        scores=dbt.ref("null_outcome_scores"),
    )
