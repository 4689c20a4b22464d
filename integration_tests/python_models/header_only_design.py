def model(dbt, session):
    dbt.config(materialized="table", schema="studies")
    from estimators import design

    return design(
        "header_only",
        dbt.config.meta_get("study"),
        units=dbt.ref("header_only_units"),
        session=session,
        scores=dbt.ref("header_only_scores"),
    )
