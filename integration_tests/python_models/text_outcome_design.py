def model(dbt, session):
    dbt.config(materialized="table", schema="studies")
    from estimators import design

    return design(
        "text_outcome",
        dbt.config.meta_get("study"),
        units=dbt.ref("text_outcome_units"),
        session=session,
        scores=dbt.ref("text_outcome_scores"),
    )
